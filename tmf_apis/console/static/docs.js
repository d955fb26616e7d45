"use strict";

// The contract as a page. Requests that are tried out carry the token of the box, where there is one.
const place = document.getElementById("document");
const token = document.getElementById("token");

if (token) {
  token.value = sessionStorage.getItem("token") || "";
  token.addEventListener("input", () => sessionStorage.setItem("token", token.value.trim()));
  document.getElementById("credentials").addEventListener("submit", (event) => event.preventDefault());
}

SwaggerUIBundle({
  url: place.dataset.url,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  requestInterceptor(request) {
    const known = token && token.value.trim();
    if (known && new URL(request.url, location.href).origin === location.origin) {
      request.headers.Authorization = `Bearer ${known}`;
    }
    return request;
  },
});
