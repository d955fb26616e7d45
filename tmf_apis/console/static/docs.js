"use strict";

// The page of a contract. Requests are sent with the token of the form, if there is one.
const container = document.getElementById("document");
const token = document.getElementById("token");

if (token) {
  token.value = sessionStorage.getItem("token") || "";
  token.addEventListener("input", () => sessionStorage.setItem("token", token.value.trim()));
  document.getElementById("credentials").addEventListener("submit", (event) => event.preventDefault());
}

SwaggerUIBundle({
  url: container.dataset.url,
  domNode: container,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  requestInterceptor(request) {
    const value = token && token.value.trim();
    if (value && new URL(request.url, location.href).origin === location.origin) {
      request.headers.Authorization = `Bearer ${value}`;
    }
    return request;
  },
});
