"""What a book is, part by part: tables, sources, target, features."""
