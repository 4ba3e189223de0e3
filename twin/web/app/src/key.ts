/** The key in the fragment of the address. */

export const hasKey = (hash: string): boolean => new URLSearchParams(hash.replace(/^#/, '')).has('key');

/** The key of the fragment, which leaves the address at once; null where it names none. */
export function takeKey(): string | null {
  const params = new URLSearchParams(location.hash.replace(/^#/, ''));
  const key = params.get('key');
  if (key === null) return null;
  const kept = location.hash
    .replace(/^#/, '')
    .split('&')
    .filter((part) => !part.startsWith('key='));
  history.replaceState(null, '', kept.length > 0 ? `#${kept.join('&')}` : location.pathname + location.search);
  return key;
}
