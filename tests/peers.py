"""Servers that the whole-agent tests talk to, for which Debian has libraries but no program.

  peers.py smtp PORT CERT KEY FILE   takes mail after STARTTLS only and appends each to FILE
"""
import ssl
import sys
import time

from aiosmtpd.controller import Controller


class Keep:
    """Appends what comes to a file, between two marks."""

    def __init__(self, path):
        self.path = path

    async def handle_DATA(self, server, session, envelope):
        with open(self.path, "ab") as file:
            tls = "yes" if session.ssl else "no"
            file.write(f"=== tls={tls} to={','.join(envelope.rcpt_tos)}\n".encode())
            file.write(envelope.content)
            file.write(b"\n=== end\n")
        return "250 kept"


def smtp(port, cert, key, path):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    controller = Controller(
        Keep(path),
        hostname="127.0.0.1",
        port=int(port),
        server_hostname="localhost",
        tls_context=context,
        require_starttls=True,
    )
    controller.start()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    {"smtp": smtp}[sys.argv[1]](*sys.argv[2:])
