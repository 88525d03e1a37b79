// The only script of the door: it hands a digest to the browser's passkeys and puts the answer into the form. And it looks again when a
// provider was opened in another tab.
"use strict";
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const hex = (digits) => Uint8Array.from(digits.match(/../g), (pair) => parseInt(pair, 16));
  const say = (words) => { document.getElementById("said").textContent = words; };

  for (const form of document.querySelectorAll("form[target]")) {
    // The page that comes then looks again by itself for as long as the other tab is under way.
    form.addEventListener("submit", () => { if (form.target) setTimeout(() => location.assign("/connections"), 2000); });
  }

  const decide = document.getElementById("decide");
  decide?.addEventListener("submit", async (event) => {
    if (event.submitter?.value !== "approve" || decide.elements.assertion.value) return;
    event.preventDefault();
    try {
      const key = await navigator.credentials.get({ publicKey: {
        challenge: hex(decide.dataset.digest),
        rpId: decide.dataset.party,
        allowCredentials: decide.dataset.keys.split(" ").map((id) => ({ type: "public-key", id: bytes(id) })),
        userVerification: "required",
      } });
      decide.elements.assertion.value = JSON.stringify({
        id: text(key.rawId),
        clientData: text(key.response.clientDataJSON),
        authenticatorData: text(key.response.authenticatorData),
        signature: text(key.response.signature),
      });
      decide.requestSubmit(event.submitter);
    } catch {
      say("The passkey didn’t sign. Nothing was approved.");
    }
  });

  const register = document.getElementById("register");
  register?.addEventListener("submit", async (event) => {
    if (register.elements.registration.value) return;
    event.preventDefault();
    try {
      const key = await navigator.credentials.create({ publicKey: {
        challenge: bytes(register.dataset.challenge),
        rp: { id: register.dataset.party, name: "Keyblind" },
        user: { id: bytes(register.dataset.user), name: register.dataset.who, displayName: register.dataset.who },
        pubKeyCredParams: [-8, -7, -257].map((alg) => ({ type: "public-key", alg })),
        authenticatorSelection: { userVerification: "required", residentKey: "preferred" },
        attestation: "none",
      } });
      register.elements.registration.value = JSON.stringify({
        id: text(key.rawId),
        clientData: text(key.response.clientDataJSON),
        authenticatorData: text(key.response.getAuthenticatorData()),
        publicKey: text(key.response.getPublicKey()),
        algorithm: key.response.getPublicKeyAlgorithm(),
      });
      register.requestSubmit(event.submitter);
    } catch {
      say("No passkey was added.");
    }
  });
})();
