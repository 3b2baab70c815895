// Every word of the page, in one place.

export const strings = {
  title: (room: string, waiting: number) => `${waiting > 0 ? `(${waiting}) ` : ''}${room} · call`,
  skip: 'Skip to the call',

  lobby: {
    heading: (room: string) => `Join ${room}`,
    ask: 'So that the others see and hear you, your browser asks for your camera and microphone. Nobody gets anything of them before you join.',
    useBoth: 'Camera and microphone',
    useMicrophone: 'Microphone only',
    useNeither: 'Neither',
    asking: 'Your browser asks for them now: look for its question near the address bar.',
    preview: 'Your picture',
    cameraOff: 'Your camera is off',
    noPicture: 'Nobody sees you until you turn on a camera.',
    level: 'How loud your microphone is',
    name: 'Your name',
    nameHint: 'The others see it. The gateway does not.',
    namePlaceholder: 'Guest',
    devices: 'Devices and sound',
    relayOnly: 'Hide my address from the others',
    relayOnlyHint:
      'A direct call shows your network address to the others in it. With this, everything goes through the relay: slower, and of lower quality.',
    join: 'Join the call',
    unseen: 'You join without camera and microphone. Both can be turned on in the call.',
    people: 'Up to four can be in this room. Whoever comes later is let in by those inside.',
    direct: 'Sound and picture go from browser to browser, encrypted; they are recorded nowhere.'
  },

  entering: 'Joining…',
  waiting: {
    heading: 'Somebody has to let you in',
    text: (inside: number) =>
      `${inside === 1 ? 'One person is' : `${inside} people are`} in the call, and sees that you wait.`,
    leave: 'Do not wait'
  },

  call: {
    alone: 'Nobody else is here yet.',
    invite: 'Send the link to whoever shall come:',
    copy: 'Copy link',
    copied: 'Copied',
    notCopied: 'Your browser does not let this page copy. Take the link from the address bar.',
    people: (count: number) => (count === 1 ? 'You alone' : `${count} people`),
    you: (name: string) => `${name} (you)`,
    youAre: 'you',
    self: 'You',
    yourScreen: 'You share your screen',
    connecting: 'Connecting…',
    lost: 'Connection lost; looking for another way…',
    failed: 'No connection to this person',
    noPicture: 'Camera is off',
    muted: 'Microphone is off',
    shares: (name: string) => `${name} shares a screen`,
    speaks: 'Speaks now',
    pin: (name: string) => `Show ${name} large`,
    unpin: (name: string) => `Do not show ${name} large`,
    pip: (name: string) => `Picture of ${name} in a window of its own`,
    paused: 'Your picture pauses: the relay lets too little through',
    play: 'Your browser waits for a click before it plays sound.',
    playButton: 'Play sound',
    away: 'The gateway is away. The call goes on; nobody new can come in until it is back.',
    otherVersion: 'This person has another version of the page. Both should load it again.',
    waits: 'Somebody wants to come in',
    closed: 'The room is closed now. The call goes on until you leave it.',
    refused: 'The gateway does not let you in any more. The call goes on until you leave it.',
    outside:
      'You were away from the gateway for long. The call goes on; to meet anybody else you have to be let in again.',
    nameless: 'Guest',
    admit: 'Let in',
    turnAway: 'Not now',
    full: 'Four are here, as many as a room takes.'
  },

  controls: {
    bar: 'Call controls',
    mute: 'Turn microphone off',
    unmute: 'Turn microphone on',
    cameraOff: 'Turn camera off',
    cameraOn: 'Turn camera on',
    flip: 'Other camera',
    share: 'Share your screen',
    unshare: 'Stop sharing',
    chat: 'Chat and files',
    unread: (count: number) => `${count} new`,
    settings: 'Settings',
    leave: 'Leave',
    close: 'Close'
  },

  settings: {
    heading: 'Settings',
    camera: 'Camera',
    microphone: 'Microphone',
    speaker: 'Speaker',
    none: 'None found',
    standard: 'As the system has it',
    unnamed: (kind: string, at: number) => `${kind} ${at}`,
    noise: 'Suppress noise',
    echo: 'Cancel echo',
    mirror: 'Mirror my own picture',
    hideSelf: 'Hide my own picture',
    keys: 'Keys',
    useKeys: 'Single keys are shortcuts',
    keyList: [
      ['M', 'microphone on or off'],
      ['Space', 'held: microphone on'],
      ['V', 'camera on or off'],
      ['S', 'share the screen, or stop'],
      ['C', 'chat'],
      ['Esc', 'close what is open']
    ]
  },

  chat: {
    heading: 'Chat and files',
    empty: 'What is written here goes to those in the call, and is gone afterwards.',
    placeholder: 'Write to everybody',
    write: 'Message to everybody',
    send: 'Send',
    attach: 'Send a file',
    me: 'You',
    offered: (name: string) => `${name} offers a file`,
    accept: 'Receive',
    refuse: 'No',
    save: 'Save',
    stop: 'Stop',
    sending: (done: string, size: string) => `${done} of ${size}`,
    waits: 'waits until it is taken',
    arrived: 'arrived',
    sent: 'sent',
    refused: 'was refused',
    broken: 'broke off',
    tooLarge: (limit: string) => `Files of up to ${limit} can be sent here. For larger ones there is postern send.`,
    unheard: (names: string) => `Not connected now, so without this message: ${names}`,
    notOffered: 'The file could not be offered: nobody is connected now, or eight are open already.',
    came: (name: string) => `${name} is here`,
    went: (name: string) => `${name} has left`
  },

  badge: {
    direct: 'direct',
    relayed: 'relayed',
    connecting: 'connecting',
    lost: 'lost',
    failed: 'failed',
    open: (name: string, kind: string) => `Connection with ${name}: ${kind}. Why, and figures`,
    heading: (name: string) => `Connection with ${name}`,
    isDirect: 'Direct: sound and picture go straight from browser to browser.',
    wasDirect: 'A direct path was found first, and was lost later. Another one is looked for.',
    isRelayed: 'Relayed: sound and picture go through the gateway, which cannot see or hear them.',
    because: 'Why',
    advice: 'What to do',
    noReason: 'The gateway has not said why.',
    /** Who hides an address, and how there would be a direct call all the same. */
    hidden: {
      you: () => [
        'You hide your address from the others.',
        'Nothing, if you want it so. For a direct call leave, and join again without “Hide my address from the others”.'
      ],
      them: (name: string) => [
        `${name} hides their address from the others.`,
        `Nothing, if ${name} wants it so. For a direct call ${name} has to join without “Hide my address from the others”.`
      ],
      both: (name: string) => [
        `You and ${name} hide your addresses from the others.`,
        'Nothing, if you both want it so. For a direct call both have to join without “Hide my address from the others”.'
      ]
    },
    figures: 'Figures of now',
    roundTrip: 'Round trip',
    loss: 'Lost on the way to you',
    lossThere: 'Lost on the way there',
    receiving: 'Received',
    sending: 'Sent',
    picture: 'Their picture',
    ownPicture: 'Your picture there',
    limit: 'The relay lets through',
    none: '–',
    words: 'Read these aloud to each other',
    wordsHint:
      'If both of you see the same four, nobody stands between you, not even somebody who has the link. If not, leave the call.',
    retry: 'Try again'
  },

  over: {
    left: { title: 'You have left the call', text: 'The link is good for coming back, until it expires.' },
    again: 'Join again',
    reload: 'Load the page again'
  },

  problems: {
    'no-link': {
      title: 'This link is not whole',
      text: 'The end of it is missing or was changed: after NAME#, 22 characters follow. Copy all of it, or ask for it once more.'
    },
    insecure: {
      title: 'This page came without encryption',
      text: 'Browsers let no page use camera and microphone then. Load it by https, or from localhost.'
    },
    old: {
      title: 'This browser is too old for calls',
      text: 'Needed is Chromium or Edge 137, Firefox 130, Safari 17.4, or newer. Update it, or take another one.'
    },
    webrtc: {
      title: 'Connections to others are switched off here',
      text: 'A setting or an extension of this browser has taken WebRTC away. Allow it for this page, and load it again.'
    },
    'no-room': {
      title: 'This link leads to no room',
      text: 'It has expired, or its room was closed. Ask whoever sent it for a new one.'
    },
    'room-full': {
      title: 'The room is full',
      text: 'As many are in it, or knock at it, as it takes. Try again in a minute, or when somebody has left.'
    },
    'turned-away': { title: 'You were not let in', text: 'Somebody in the call chose so. You may ask once more.' },
    'gateway-unreachable': {
      title: 'The gateway cannot be reached',
      text: 'Look whether you are online. If you are, its operator has to help.'
    },
    'wrong-gateway': {
      title: 'This address is not the gateway’s own',
      text: 'Its operator has to name it in listen.url. The link is good by the address that it was made with.'
    },
    'name-taken': {
      title: 'The call is open elsewhere',
      text: 'This browser has it open in another tab or window, which took its place here.'
    },
    busy: { title: 'The gateway has no room now', text: 'Try again in a minute.' },
    other: { title: 'The call ended', text: 'Something went wrong that was not foreseen.' }
  },

  devices: {
    denied: {
      title: 'Camera and microphone are not allowed here',
      text: 'Allow them by the sign beside the address, then try again.'
    },
    missing: {
      title: 'No camera or microphone was found',
      text: 'Plug one in, and try again.'
    },
    busy: {
      title: 'Another program uses the camera or microphone',
      text: 'Close it there, and try again.'
    },
    system: {
      title: 'Your system does not let this browser use them',
      text: 'Allow camera and microphone for it in the system’s privacy settings, then try again.'
    },
    other: { title: 'Camera or microphone cannot be used', text: 'Try again, or choose another one.' },
    without: 'Or join without: you still see and hear the others.',
    unplugged: {
      camera: 'Your camera was unplugged or taken away. The others do not see you now.',
      microphone: 'Your microphone was unplugged or taken away. The others do not hear you now.'
    },
    switched: {
      camera: (to: string) => `Your camera was unplugged; ${to} is used now.`,
      microphone: (to: string) => `Your microphone was unplugged; ${to} is used now.`
    },
    noShare: 'Nothing was shared.',
    shareDenied: 'Your system does not let this browser show the screen. Allow it in its privacy settings.',
    again: 'Try again',
    dismiss: 'Close this notice'
  }
} as const

export type Problem = keyof typeof strings.problems
export type DeviceProblem = 'denied' | 'missing' | 'busy' | 'system' | 'other'
