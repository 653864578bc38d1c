// The echo service as one Node.js program that starts no process: what it is to be compared with.
// usage: node server.js SOCKET    or, started by udsd with wait = true, without an argument
const net = require("net");

const server = net.createServer({ allowHalfOpen: true }, (connection) => {
	connection.on("error", () => connection.destroy());
	connection.write("hello\r\n");
	connection.pipe(connection);
});
server.listen(process.argv[2] ? { path: process.argv[2], backlog: 4096 } : { fd: 3 });
