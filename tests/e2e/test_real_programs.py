#!/usr/bin/env python3
"""Clients and handlers of other projects; those of the manual are in test_recipes.py."""
import os
import shutil
import socket

from lib import PYTHON, UDSC, Case, main, needs

HELLO_JS = r"""
const net = require('net');
const client = net.createConnection({ path: process.argv[2] }, () => {
  client.write('world!\r\n');
});
client.on('data', (data) => {
  if (client.seen) return;
  client.seen = true;
  process.stdout.write(data.toString().split('\r\n')[0] + '\n');
  client.end();
});
client.on('end', () => { console.log('disconnected'); });
client.on('error', (error) => { console.log('error', error.code); });
"""

COMPARE_JS = r"""
const net = require('net');
const crypto = require('crypto');
const sent = crypto.randomBytes(10 * 1024 * 1024);
const parts = [];
const client = net.createConnection({ path: process.argv[2] }, () => client.end(sent));
client.on('data', (data) => parts.push(data));
client.on('error', (error) => { console.log('error', error.code); });
client.on('close', () => {
  const got = Buffer.concat(parts);
  const same = Buffer.compare(got, Buffer.concat([Buffer.from('hello\r\n'), sent])) === 0;
  console.log(same ? 'same' : 'different: ' + got.length);
});
"""

HELLO_PY = """
import socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    file = s.makefile("rwb")
    print(file.readline())
    file.write(b"world!")
    file.flush()
    s.shutdown(socket.SHUT_WR)
    print(file.read())
"""


class Real(Case):
    def check(self, args, out, **kw):
        done = self.run_program(args, timeout=30, **kw)
        self.assertEqual((done.returncode, done.stdout), (0, out), done.stderr)

    def assert_all_ended_well(self, sup, count=1):
        """So many connections, each with a clean end."""
        sup.wait_events(count, "close", status="exit:0")
        self.assertEqual(len(sup.events("close")), count)

    @needs("node")
    def test_node_says_hello(self):
        sup = self.serve([self.echo()])
        for _ in range(5):
            self.check(
                ["node", self.write("hello.js", HELLO_JS), sup.socket],
                "hello\ndisconnected\n",
            )
        self.assert_all_ended_well(sup, 5)

    @needs("node")
    def test_node_compares_ten_megabytes(self):
        sup = self.serve([self.echo()])
        self.check(["node", self.write("compare.js", COMPARE_JS), sup.socket], "same\n")
        self.assert_all_ended_well(sup)

    @needs("socat")
    def test_socat(self):
        sup = self.serve([self.echo()])
        self.check(
            ["socat", "-t", "5", "STDIO", "UNIX-CONNECT:" + sup.socket],
            "hello\r\nworld!\n",
            input="world!\n",
        )
        self.assert_all_ended_well(sup)

    @needs("socat")
    def test_socat_seqpacket(self):
        sup = self.serve([self.echo()], type="seqpacket")
        self.check(
            [
                "socat",
                "-t",
                "1",
                "STDIO",
                "UNIX-CONNECT:%s,socktype=%d" % (sup.socket, socket.SOCK_SEQPACKET),
            ],
            "hello\r\nworld!\n",
            input="world!\n",
        )
        self.assert_all_ended_well(sup)

    @needs("nc")
    def test_nc(self):
        if "-U" not in self.run_program(["nc", "-h"]).stderr:
            self.skipTest("nc knows no -U")
        sup = self.serve([self.echo()])
        self.check(["nc", "-N", "-U", sup.socket], "hello\r\nworld!\n", input="world!\n")
        self.assert_all_ended_well(sup)

    def test_python(self):
        sup = self.serve([self.echo()])
        self.check([PYTHON, "-c", HELLO_PY, sup.socket], "b'hello\\r\\n'\nb'world!'\n")
        self.assert_all_ended_well(sup)

    def test_the_two_commands_of_the_readme(self):
        sup = self.serve([self.echo()])
        self.check([UDSC, sup.socket, "world!"], "hello\r\nworld!\r\n")
        self.assert_all_ended_well(sup)

    @needs("perl")
    def test_handlers_in_other_languages(self):
        rows = [
            (["perl", "-ne", 'print "perl $_"'], b"perl x\n"),
            (["sed", "-u", "s/^/sed /"], b"sed x\n"),
            (["wc", "-c"], b"2\n"),
        ]
        for words, answer in rows:
            with self.subTest(words=words[0]):
                sup = self.serve([os.path.realpath(shutil.which(words[0]))] + words[1:])
                self.assertEqual(self.talk(sup.socket, b"x\n"), answer)
                self.assert_all_ended_well(sup)
                sup.stop()


if __name__ == "__main__":
    main()
