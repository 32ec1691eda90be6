-- Every stage in order is gone on from, and the message is accepted; several messages on one connection.
dofile("common.lua")

conn = open()
tell(conn, 1, 9)
expect(mt.eom(conn), "end of message")
expect_reply(conn, SMFIR_ACCEPT, "an ordinary message")
for message = 1, 3 do
	tell(conn, 3, 9)
	expect(mt.eom(conn), "end of message")
	expect_reply(conn, SMFIR_ACCEPT, "message " .. message)
end
mt.disconnect(conn)

-- An MTA of protocol version 2 waits for an answer at each stage.
conn = open(2, 0x3F, 0x7F)
for stage = 1, 9 do
	if stage ~= 5 then
		stages[stage](conn)
		expect_reply(conn, SMFIR_CONTINUE, "stage " .. stage .. " of version 2")
	end
end
expect(mt.eom(conn), "end of message")
expect_reply(conn, SMFIR_ACCEPT, "a message of version 2")
mt.disconnect(conn)
