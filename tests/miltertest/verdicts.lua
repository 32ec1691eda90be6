-- Every verdict, as the MTA is told of it.
dofile("common.lua")
HELP = "servicedesk@example.gov, 406-555-0100"

conn = open()
expect(mt.conninfo(conn, "client.example.gov", "127.0.0.1"), "connect")
expect(mt.helo(conn, "client.example.gov"), "helo")

envelope(conn, 1)
content(conn, "one")
expect(mt.eom(conn), "end of message")
expect_reply(conn, SMFIR_ACCEPT, "relay")
if mt.eom_check(conn, MT_HDRADD) or mt.eom_check(conn, MT_HDRINSERT) then
	error("relay: expected no header to be added")
end

envelope(conn, 210)
content(conn, "papers", { ["Content-Type"] = "application/pdf; name=a.pdf" })
expect(mt.eom(conn), "end of message")
expect_reply(conn, SMFIR_ACCEPT, "warn")
if not mt.eom_check(conn, MT_HDRADD, "X-Gatekeeper-Warning") then
	error("warn: expected X-Gatekeeper-Warning to be added")
end

envelope(conn, 210)
content(conn, nil)
expect(mt.eom(conn), "end of message")
expect_smtp_reply(conn, "550", "5.7.1", "Not sent. 1) Add a subject line. Help: " .. HELP .. " (subject)")

envelope(conn, 1)
content(conn, "a winner")
expect(mt.eom(conn), "end of message")
expect_smtp_reply(conn, "451", "4.7.1", "Not sent yet, will be tried again. 1) Not today. Help: " .. HELP .. " (later)")

envelope(conn, 2600)
content(conn, "enrolment")
expect(mt.eom(conn), "end of message")
expect_reply(conn, SMFIR_DISCARD, "hold")
mt.disconnect(conn)
