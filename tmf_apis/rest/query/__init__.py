"""Queries of clients compiled to MongoDB: filters, JSONPath, sorting, fields and paging."""
