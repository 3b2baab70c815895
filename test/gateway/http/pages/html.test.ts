import test from 'ava'
import { html } from '../../../../src/gateway/http/pages/html.ts'

test('what is put into a template is text, in a list and in an attribute too', t => {
  const words = `<b title="x" class='y'>&\``
  const escaped = '&#60;b title=&#34;x&#34; class=&#39;y&#39;&#62;&#38;&#96;'
  t.is(String(html`<p>${words}</p>`), `<p>${escaped}</p>`)
  t.is(String(html`<p title="${words}">${[words, [words]]}</p>`), `<p title="${escaped}">${escaped}${escaped}</p>`)
})

test('a template within a template is written as it is, and nothing is written for nothing', t => {
  t.is(String(html`<p>${html`<b>${'<'}</b>`}${undefined}${false}${[]}${0}</p>`), '<p><b>&#60;</b>0</p>')
})
