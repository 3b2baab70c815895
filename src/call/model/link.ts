export const links = 'call'
