"""Query parameters of clients, compiled to MongoDB: filters, sorting, fields and paging."""
