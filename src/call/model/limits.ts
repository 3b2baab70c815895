// What others may make this page keep or show.

/** The longest name of a person, in characters. */
export const NAME_CHARACTERS = 40

/** The longest message, in characters. */
export const CHAT_CHARACTERS = 4000

/** The longest line, in characters: a message of which each character is written as six. */
export const LINE_BYTES = 6 * CHAT_CHARACTERS + 256

/** Lines that one person may say at once, and within a second from then on. More are dropped. */
export const LINES_BURST = 40
export const LINES_PER_SECOND = 5

/** Messages that are shown; older ones go. */
export const CHAT_KEPT = 500

/** A file that is received is kept in the memory of the browser until it is saved. */
export const FILE_BYTES = 1_000_000_000

export const FILE_NAME_CHARACTERS = 120

/** Files that one person has offered, or sends, at once. */
export const FILES_OFFERED = 8
