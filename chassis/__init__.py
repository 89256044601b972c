"""What every Kelola service stands on. It holds no word of finance, people or goods."""
