// A viewport of the latent plane: centre (x, y) in latent coordinates, `scale` in CSS pixels per
// unit, width and height in CSS pixels. The latent y axis points up.

export const toPixelX = (view, x) => (x - view.x) * view.scale + view.width / 2;
export const toPixelY = (view, y) => (view.y - y) * view.scale + view.height / 2;

/** The latent coordinates of a pixel. */
export const toLatent = (view, px, py) =>
  [view.x + (px - view.width / 2) / view.scale, view.y - (py - view.height / 2) / view.scale];
