"""Images as uint8 (H, W, C) arrays: reading, resizing, grids and PNG metadata. Imports no torch."""
