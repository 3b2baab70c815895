// The page of a call.

import { render } from 'preact'
import './style/base.css'
import { App } from './view/app.tsx'

const place = document.getElementById('program')
if (place) {
  place.replaceChildren()
  render(<App />, place)
}
