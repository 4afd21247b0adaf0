"""A real aiosmtpd for the tests. Prints its port, then one line of JSON per mail that it accepted.

smtp.py MODE CERT KEY   MODE: starttls | implicit | plain; with USER and PASSWORD in the environment AUTH is required.
"""

import asyncio
import base64
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        if address.startswith("later@"):
            return "450 4.2.0 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print(json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or mode == "implicit",
            "user": session.auth_data,
            "subject": mail["Subject"],
            "text": mail.get_body(("plain",)).get_content(),
            "data": base64.b64encode(envelope.content).decode(),
        }), flush=True)
        return "250 accepted"


def authenticate(server, session, envelope, mechanism, data):
    given = (data.login.decode(), data.password.decode())
    if given == (os.environ["USER"], os.environ["PASSWORD"]):
        return AuthResult(success=True, auth_data=given[0])
    return AuthResult(success=False, handled=False)


mode, cert, key = sys.argv[1:4]
context = None
if mode != "plain":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)


def smtp():
    options = {}
    if mode == "starttls":
        options.update(tls_context=context, require_starttls=True)
    if "PASSWORD" in os.environ:
        # aiosmtpd knows only of STARTTLS; under implicit TLS it would refuse AUTH.
        options.update(authenticator=authenticate, auth_required=True, auth_require_tls=mode == "starttls")
    return SMTP(Handler(), hostname="localhost", **options)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(smtp, "127.0.0.1", 0, ssl=context if mode == "implicit" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
