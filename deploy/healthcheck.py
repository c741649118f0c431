#!/opt/oncely/bin/python -IS
"""The HEALTHCHECK of the images: exit 0 when /health/ready answers 200.

No curl, and no site packages: it runs every five seconds in every container, so it must cost
milliseconds.
"""

import http.client
import os

port = os.environ["PORT" if os.environ["SERVICE"] == "api" else "HEALTH_PORT"]
connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=2)
connection.request("GET", "/health/ready")
raise SystemExit(connection.getresponse().status != http.client.OK)
