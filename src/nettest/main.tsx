// The page that tests a network, and, of a result that the gateway has written, the button that copies its link.

import { render } from 'preact'
import './style.css'
import { offerCopy } from './copy.ts'
import { Test } from './view.tsx'

const place = document.getElementById('program')
if (place) {
  place.replaceChildren()
  render(<Test />, place)
} else offerCopy()
