"""Labels as files for other programs: what votes come to, formats, packing, the card, the hub."""
