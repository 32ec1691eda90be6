-- What the scripts share: a connection, the parts of a message, and what is expected of a step.

socket = os.getenv("MILTER") or error("expected MILTER to name the socket, such as inet:10027@127.0.0.1")
HEAD = "<head@doa.example.gov>"

function expect(problem, what)
	if problem ~= nil then
		error(what .. ": " .. tostring(problem))
	end
end

function expect_reply(conn, wanted, what)
	local got = mt.getreply(conn)
	if got ~= wanted then
		error(string.format("%s: expected %s, got %s", what, string.char(wanted), string.char(got)))
	end
end

function open(version, actions, steps)
	local conn = mt.connect(socket)
	if conn == nil then
		error("expected somebody at " .. socket)
	end
	mt.set_timeout(60)
	expect(mt.negotiate(conn, version, actions, steps), "negotiate")
	return conn
end

-- Each stage of a message, in order; a script stops where it likes.
stages = {
	function(conn) expect(mt.conninfo(conn, "client.example.gov", "127.0.0.1"), "connect") end,
	function(conn) expect(mt.helo(conn, "client.example.gov"), "helo") end,
	function(conn) expect(mt.mailfrom(conn, HEAD), "mail") end,
	function(conn) expect(mt.rcptto(conn, "<one@doa.example.gov>"), "rcpt") end,
	function(conn) expect(mt.data(conn), "data") end,
	function(conn) expect(mt.header(conn, "From", "head@doa.example.gov"), "header") end,
	function(conn) expect(mt.header(conn, "Subject", "miltertest"), "header") end,
	function(conn) expect(mt.eoh(conn), "end of header") end,
	function(conn) expect(mt.bodystring(conn, "Hello\r\n"), "body") end,
}

function tell(conn, from, to)
	for stage = from, to do
		stages[stage](conn)
	end
end

function envelope(conn, recipients)
	expect(mt.mailfrom(conn, HEAD, "RET=HDRS", "ENVID=QQ1"), "mail")
	for number = 1, recipients do
		local domain = number % 2 == 0 and "doa" or "dphhs"
		expect(mt.rcptto(conn, "<user" .. number .. "@" .. domain .. ".example.gov>", "NOTIFY=NEVER"), "rcpt")
	end
	expect(mt.data(conn), "data")
end

function content(conn, subject, extra)
	expect(mt.header(conn, "From", "head@doa.example.gov"), "header")
	if subject then
		expect(mt.header(conn, "Subject", subject), "header")
	end
	for name, value in pairs(extra or {}) do
		expect(mt.header(conn, name, value), "header")
	end
	expect(mt.eoh(conn), "end of header")
	expect(mt.bodystring(conn, "Hello\r\n"), "body")
end

-- miltertest compares the whole reply, or nothing of it.
function expect_smtp_reply(conn, code, enhanced, text)
	expect_reply(conn, SMFIR_REPLYCODE, text)
	if not mt.eom_check(conn, MT_SMTPREPLY, code, enhanced, text) then
		error("expected the reply " .. code .. " " .. enhanced .. " " .. text)
	end
end
