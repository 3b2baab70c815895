// Signs of the page, drawn as lines of one width. They say nothing to a screen reader: the button around one has the words.

const shapes = {
  microphone: 'M12 3a3 3 0 0 1 3 3v6a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3ZM5 11v1a7 7 0 0 0 14 0v-1M12 19v3',
  'microphone-off':
    'M4 3l16 18M9 9v3a3 3 0 0 0 4.5 2.6M15 11V6a3 3 0 0 0-5.7-1.3M5 11v1a7 7 0 0 0 11 5.7M19 11v1c0 .8-.1 1.5-.4 2.2M12 19v3',
  camera:
    'M3 7.5A1.5 1.5 0 0 1 4.5 6h9A1.5 1.5 0 0 1 15 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 3 16.5ZM15 11l6-3.5v9L15 13',
  'camera-off':
    'M4 3l16 18M15 14v2.5a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 3 16.5v-9c0-.8.6-1.4 1.3-1.5M10 6h3.5A1.5 1.5 0 0 1 15 7.5V11l6-3.5v9l-2-1.2',
  screen:
    'M3 5.5A1.5 1.5 0 0 1 4.5 4h15A1.5 1.5 0 0 1 21 5.5v9a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 14.5ZM8 20h8M12 13V7.5M9.5 10 12 7.5l2.5 2.5',
  'screen-off':
    'M3 5.5A1.5 1.5 0 0 1 4.5 4h15A1.5 1.5 0 0 1 21 5.5v9a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 14.5ZM8 20h8M9.5 7.5l5 5M14.5 7.5l-5 5',
  chat: 'M4 5h16v11H10l-5 4v-4H4Z',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4',
  leave: 'M3 14.5c5-4.7 13-4.7 18 0l-2.5 2.7-3.7-1.7v-2.5c-1.8-.6-3.8-.6-5.6 0v2.5l-3.7 1.7Z',
  flip: 'M4 8h3l1.5-2h7L17 8h3v11H4ZM9 13.5a3 3 0 0 1 5.2-2M15 13.5a3 3 0 0 1-5.2 2',
  close: 'M6 6l12 12M18 6 6 18',
  pin: 'M9 4h6l-1 6 3 3H7l3-3ZM12 13v7',
  window: 'M3 5h18v14H3ZM12 12h7v5h-7Z',
  copy: 'M9 9h11v11H9ZM5 15H4V4h11v1',
  file: 'M6 3h8l4 4v14H6ZM14 3v4h4',
  send: 'M4 12 20 4l-5 16-3.5-6.5Z',
  direct: 'M3 12h18M17 8l4 4-4 4M7 8l-4 4 4 4',
  relayed: 'M2 12h6M16 12h6M8 8h8v8H8Z',
  warning: 'M12 4 2.5 20h19ZM12 10v4M12 17v.01'
} as const

export type Shape = keyof typeof shapes

export const Icon = ({ of }: { of: Shape }) => (
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
    <path d={shapes[of]} />
  </svg>
)
