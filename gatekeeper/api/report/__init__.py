"""The compliance report in its forms. All are made from one JSON document, so that a kept report can be shown in each.

`document.py` makes the document, `tables.py` tables of it, `page.py` an HTML page, `csv_files.py`, `pdf.py` the rest.
"""
