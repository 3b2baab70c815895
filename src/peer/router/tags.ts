// Reads the few elements that UPnP needs out of a router's XML. A parser would bring more than it saves: what is read are four
// elements without attributes or children of interest, in documents of at most 64 kB. Each expression here takes time linear
// in the text, whatever the text is.

/** The text of the first element of this name, whatever its namespace. Undefined where there is none, or it is empty. */
export function textIn(xml: string, name: string): string | undefined {
  const found = new RegExp(`<(?:\\w{1,20}:)?${name}(?:\\s[^<>]*)?>([^<]+)<`, 'i').exec(xml)
  return found?.[1] === undefined ? undefined : plain(found[1].trim())
}

/** What stands between the tags of each element of this name that has no attributes. They do not nest. */
export function blocksIn(xml: string, name: string): string[] {
  const [, ...rest] = xml.split(`<${name}>`)
  return rest.map(text => text.split(`</${name}>`, 1)[0] ?? '')
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' }

const plain = (text: string): string =>
  text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => entities[name] ?? '')
