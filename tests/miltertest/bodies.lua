-- Bodies in the largest pieces that an MTA sends; more than is taken is skipped where the MTA can, and refused.
dofile("common.lua")
TOO_LARGE = "message too large: at most 1048576 octets are taken"

piece = string.rep(string.rep("x", 78) .. "\r\n", 819) .. string.rep("y", 13) .. "\r\n"
assert(#piece == 65535)

function large(conn, pieces)
	tell(conn, 1, 8)
	for number = 1, pieces do
		expect(mt.bodystring(conn, piece), "piece " .. number)
		if mt.getreply(conn) == SMFIR_SKIP then
			return number
		end
	end
	return nil
end

conn = open()
if large(conn, 10) then
	error("expected a body of 640 KB to be taken whole")
end
expect(mt.eom(conn), "end of message")
expect_reply(conn, SMFIR_ACCEPT, "a body of ten pieces")
mt.disconnect(conn)

conn = open()
skipped = large(conn, 20)
if skipped ~= 16 then
	error("expected the rest to be skipped from the 16th piece on, above 1 MB: " .. tostring(skipped))
end
expect(mt.eom(conn), "end of message")
expect_smtp_reply(conn, "552", "5.3.4", TOO_LARGE)
mt.disconnect(conn)

conn = open(2, 0x3F, 0x7F)
tell(conn, 1, 4)
tell(conn, 6, 8)
for number = 1, 20 do
	expect(mt.bodystring(conn, piece), "piece " .. number)
	expect_reply(conn, SMFIR_CONTINUE, "an MTA of version 2 cannot skip")
end
expect(mt.eom(conn), "end of message")
expect_smtp_reply(conn, "552", "5.3.4", TOO_LARGE)
mt.disconnect(conn)
