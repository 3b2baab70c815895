// The two sides of a connection: who asked for it, and who was asked for.

export const sideNames = ['caller', 'callee'] as const

export type SideName = (typeof sideNames)[number]

export const otherSide = (side: SideName): SideName => (side === 'caller' ? 'callee' : 'caller')
