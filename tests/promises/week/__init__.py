"""A simulated week of an organisation: the mail that no rule about mass mail is about, and what looks like it.

`Organisation` has people, agencies and machines; `letters` are the kinds of mail; `days` puts a week together. Each
message says which matter it is about: messages of one matter are one mailing in truth, all others are not.
"""
