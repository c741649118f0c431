import { useState } from "react";
import { Code } from "@/components/Code";
import { Tabs } from "@/components/Tabs";

const PYTHON = `import base64, hashlib, hmac, time

def is_ours(headers, body: bytes, secret: str) -> bool:
    sent_id, sent_at = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(sent_at)) > 300:      # too old: somebody may repeat it
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{sent_id}.{sent_at}.".encode() + body   # the bytes as they came
    ours = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = [one.partition(",")[2] for one in headers["webhook-signature"].split()]
    return any(hmac.compare_digest(ours, one) for one in given)`;

const NODE = `import { createHmac, timingSafeEqual } from "node:crypto";

export function isOurs(headers, body /* Buffer */, secret) {
  const id = headers["webhook-id"], at = headers["webhook-timestamp"];
  if (Math.abs(Date.now() / 1000 - Number(at)) > 300) return false; // too old
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signed = Buffer.concat([Buffer.from(id + "." + at + "."), body]); // as it came
  const ours = createHmac("sha256", key).update(signed).digest();
  return headers["webhook-signature"].split(" ").some((one) => {
    const given = Buffer.from(one.split(",")[1] ?? "", "base64");
    return given.length === ours.length && timingSafeEqual(given, ours);
  });
}`;

/** How the receiver knows that a request is ours. */
export function Verify() {
  const [tab, setTab] = useState("python");
  return (
    <div className="flex flex-col gap-3 text-sm">
      <p className="text-soft">
        Requests follow Standard Webhooks; its libraries work. During a rotation the header has more
        than one signature, and one that fits is enough. Keep each webhook-id for some days: an
        attempt that is made again has the same one.
      </p>
      <Tabs
        label="Language"
        value={tab}
        onChange={setTab}
        tabs={[
          { id: "python", title: "Python", content: <Code text={PYTHON} label="Python" /> },
          { id: "node", title: "Node", content: <Code text={NODE} label="Node" /> },
        ]}
      />
    </div>
  );
}
