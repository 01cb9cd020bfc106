"""The rights of customers: export, erasure, restriction; and who used them."""
