// The place where a gateway is, as its peers dial it: scheme, host, port and path. A hello signs it, so that it is good at that
// place alone. Two ways to write one place become one text:
//
//   WSS://Postern.Example.org.:443/gate/  ─►  https://postern.example.org/gate
//   http://[0:0:0:0:0:0:0:1]:8080         ─►  http://[::1]:8080

/** The path on the gateway's HTTP server at which peers join. */
export const JOIN_PATH = '/join'

/** The scheme of the pages for each that a peer may dial. */
const schemes: Readonly<Record<string, 'http:' | 'https:'>> = {
  'http:': 'http:',
  'ws:': 'http:',
  'https:': 'https:',
  'wss:': 'https:'
}

/**
 * The one text for a place; undefined where `url` is none. Host names are lower case and ASCII (IDNA), addresses as in RFC 5952,
 * the scheme's own port is left out, as are a slash at the end, a login, a query and a fragment.
 */
export function placeOf(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined
  const { protocol, hostname, port, pathname } = new URL(url)
  const scheme = schemes[protocol]
  const host = hostname.replace(/\.+$/, '')
  if (!scheme || !host) return undefined
  return `${scheme}//${host}${port && `:${port}`}${pathname.replace(/\/+$/, '')}`
}

/** Where `path` of a gateway is found, which may be below a path itself. A query of `place` is left out. */
export function urlAt(place: string, path: string): URL {
  const root = new URL(place)
  root.pathname = root.pathname.replace(/\/*$/, '/')
  return new URL(`.${path}`, root)
}

/** The host of a URL: a name, or an address without the brackets that IPv6 has there. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '')
