// The two sides of a connection: who asked for it, and who was asked for.

export const roles = ['caller', 'callee'] as const

export type Role = (typeof roles)[number]

export const otherRole = (role: Role): Role => (role === 'caller' ? 'callee' : 'caller')
