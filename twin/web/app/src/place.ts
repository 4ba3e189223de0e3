/** A place as it is written: latitude and longitude in degrees. */

export type Place = readonly [lon: number, lat: number];

/** The place that a text says, or null. */
export function readPlace(text: string): Place | null {
  const [lat, lon, more] = text.split(/[\s,;，；]+/).filter(Boolean).map(Number);
  if (lat === undefined || lon === undefined || more !== undefined) return null;
  return Math.abs(lat) <= 90 && Math.abs(lon) <= 180 ? [lon, lat] : null;
}

/** To about a centimetre. */
export function writePlace([lon, lat]: Place): string {
  return `${Number(lat.toFixed(7))}, ${Number(lon.toFixed(7))}`;
}
