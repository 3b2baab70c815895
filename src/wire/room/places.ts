// How many and how long, for rooms: what both sides, and pages, know.

/** Guests inside a room, and those that wait before it, at once. */
export const INSIDE = 4
export const WAITING = 8

/** The longest time that a link is good for, in hours, whatever a gateway is configured to. */
export const MOST_HOURS = 168
