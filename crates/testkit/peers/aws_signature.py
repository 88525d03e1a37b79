"""Signs requests as botocore does: a list in JSON on standard input, their `Authorization` headers on standard output."""

import datetime
import json
import sys
from unittest import mock

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

signatures = []
for wanted in json.load(sys.stdin):
    keys = Credentials(wanted["id"], wanted["secret"], wanted.get("token"))
    at = datetime.datetime.fromtimestamp(wanted["at"], datetime.timezone.utc)
    body = wanted["body"].encode()
    request = AWSRequest(wanted["method"], wanted["url"], headers=wanted["headers"], data=body or None)
    signer = (auth.S3SigV4Auth if wanted["service"] == "s3" else auth.SigV4Auth)(keys, wanted["service"], wanted["region"])
    if wanted["service"] == "s3":
        # Over plain HTTP it signs the body; with TLS it would leave that to TLS.
        request.context["client_config"] = None
        request.context["payload_signing_enabled"] = True
    with mock.patch.object(auth, "get_current_datetime", return_value=at.replace(tzinfo=None)):
        signer.add_auth(request)
    signatures.append(request.headers["Authorization"])
json.dump(signatures, sys.stdout)
