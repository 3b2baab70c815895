// The page of a call: whoever opens the link of a room is shown the lobby, and then the call. The gateway serves the shell of it
// (src/gateway/http/built/call.ts).
//
//   link ─► lobby ─► room ─► a connection to each of the others (model/call.ts) ─► what is shown of it (view/)

import { render } from 'preact'
import './style/base.css'
import './style/lobby.css'
import './style/call.css'
import './style/panel.css'
import { Call } from './model/call.ts'
import { opened } from './model/link.ts'
import { App } from './view/app.tsx'

const place = document.getElementById('program')
if (place) {
  const link = opened(location.href)
  const call = link.problem ? undefined : new Call(link.room, link.link)
  place.replaceChildren()
  render(<App opened={link} call={call} />, place)
  // Another link in the same tab is another call.
  addEventListener('hashchange', () => location.reload())
}
