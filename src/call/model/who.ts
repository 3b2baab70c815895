// Who a tab is in a room: a key of its own for each room, so that two tabs of one browser are two guests who can call each other, and
// nobody can tell by its key that a guest of one room was in another. A tab that is loaded again is the same guest, who is let in again.
// Keys that cannot be read are kept in IndexedDB alone, which has no end of a tab; sessionStorage has, but a tab that is duplicated gets a
// copy of it. So a tab keeps there which database is its own, and holds a lock of that name (Web Locks) for as long as it is there.
//
//   sessionStorage ─► database ─► its lock is free ─► the same guest as before
//                         └── held by another tab, a day old, or none ─► another one
//
// What is older than a day, and no tab's, is deleted whenever a tab enters a room.

import type { RoomEntry } from '../../peer/room/entry.ts'

const PREFIX = 'postern guest '

/** As long as a link is good. */
const DAY_MS = 86_400_000

/** The page that was there before a tab was loaded again has let its lock go within this time, in milliseconds. */
const GONE_MS = 1000

/** Those whose lock this page holds. */
const own = new Set<string>()

/** The name of the database that has this tab's key for a room: what `join` takes as `keptIn`. Never throws. */
export async function databaseFor({ gateway, room }: Pick<RoomEntry, 'gateway' | 'room'>): Promise<string> {
  forgetOld().catch(() => {})
  const key = `${PREFIX}${gateway} ${room}`
  const before = storedAt(key)
  if (before && !isOld(before) && (await holds(before))) return before
  const made = `${PREFIX}${Date.now()} ${crypto.randomUUID()}`
  await holds(made)
  store(key, made)
  return made
}

/** Whether this page has the lock of a database; once it has, it keeps it. */
async function holds(database: string): Promise<boolean> {
  if (own.has(database)) return true
  return await new Promise(resolve => {
    const held = () => {
      own.add(database)
      resolve(true)
      return new Promise<never>(() => {})
    }
    // A page of an origin of its own, as in a frame that is shut off, has none of this.
    const asked = navigator.locks?.request(database, { signal: AbortSignal.timeout(GONE_MS) }, held)
    if (asked) asked.catch(() => resolve(false))
    else resolve(false)
  })
}

async function forgetOld(): Promise<void> {
  for (const { name = '' } of await indexedDB.databases())
    if (isOld(name))
      await navigator.locks.request(name, { ifAvailable: true }, lock => lock && indexedDB.deleteDatabase(name))
}

/** Whether it was made by `databaseFor`, more than a day ago. */
const isOld = (database: string): boolean =>
  database.startsWith(PREFIX) && Date.now() - Number.parseInt(database.slice(PREFIX.length), 10) > DAY_MS

/** A browser that keeps nothing says so by throwing. */
function storedAt(key: string): string | undefined {
  try {
    return sessionStorage.getItem(key) ?? undefined
  } catch {
    return undefined
  }
}

function store(key: string, database: string): void {
  try {
    sessionStorage.setItem(key, database)
  } catch {
    // Then it is somebody else when it is loaded again.
  }
}
