"""The OpenAPI contracts: documents, schemas, extension types and times."""
