// Starts Swagger UI on our own document. Everything comes from this origin; /docs/settings.json says which client
// signs in: {"client_id": string or null, "scopes": [string], "public_url": string}.
"use strict";

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

async function start() {
  const answer = await fetch("/docs/settings.json", { headers: { accept: "application/json" } });
  const settings = answer.ok ? await answer.json() : {};
  // The sign-in knows one redirect address, so one loopback name must not stand in for another.
  if (settings.public_url) {
    const known = new URL(settings.public_url);
    if (known.origin !== location.origin && LOOPBACK.has(location.hostname) && LOOPBACK.has(known.hostname)) {
      location.replace(new URL("/docs", known));
      return;
    }
  }
  const ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    persistAuthorization: true,
    validatorUrl: null,
    oauth2RedirectUrl: location.origin + "/docs/oauth2-redirect",
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
  });
  if (settings.client_id) {
    ui.initOAuth({
      clientId: settings.client_id,
      scopes: settings.scopes || [],
      usePkceWithAuthorizationCodeGrant: true,
    });
  }
}

start().catch(() => {
  document.getElementById("swagger-ui").textContent = "The document could not be loaded: see /openapi.json.";
});
