"use strict";

SwaggerUIBundle({
  dom_id: "#api",
  // Relative to the page, so that it is right at every stage's address.
  url: "openapi.json",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  // Else Swagger UI would send the document's address to a service of its makers.
  validatorUrl: null,
});
