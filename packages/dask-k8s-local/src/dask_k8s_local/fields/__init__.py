"""Field ownership: field sets, managers, server-side apply and strategic merge. Pure functions of objects."""
