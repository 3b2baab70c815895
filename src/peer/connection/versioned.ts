// Peers speak to each other in versioned JSON: on the control channel, about streams, and in the lines of the services.

/** A text message that is longer than this, in bytes, is not one of ours; only a list of streams may be longer. */
const MAX_TEXT_BYTES = 2_048

/** A JSON object with `v` of that version in at most `maxBytes`; undefined for anything else. */
export function parseVersioned(text: string, maxBytes = MAX_TEXT_BYTES, v = 1): Record<string, unknown> | undefined {
  if (text.length > maxBytes || new TextEncoder().encode(text).length > maxBytes) return undefined
  try {
    const value: unknown = JSON.parse(text)
    const versioned = typeof value === 'object' && value !== null && 'v' in value && value.v === v
    return versioned ? { ...value } : undefined
  } catch {
    return undefined
  }
}

/** A number of bytes, or of things, that can be counted exactly. */
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0
