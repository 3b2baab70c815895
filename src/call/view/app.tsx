// All of the page.

import { links } from '../model/link.ts'

export const App = () => <main class="alone">{links}</main>
