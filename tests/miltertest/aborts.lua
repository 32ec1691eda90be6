-- An abort, or an end without a word, after each stage; the next message is judged as though nothing had been.
dofile("common.lua")

for stop = 1, 9 do
	conn = open()
	tell(conn, 1, stop)
	expect(mt.abort(conn), "abort")
	tell(conn, stop == 1 and 2 or 3, 9)
	expect(mt.eom(conn), "end of message")
	expect_reply(conn, SMFIR_ACCEPT, "after an abort at stage " .. stop)
	mt.disconnect(conn)
end

for stop = 1, 9 do
	conn = open()
	tell(conn, 1, stop)
	mt.disconnect(conn, false)
end
