// Settings during a call.

import type { Call } from '../model/call.ts'
import { choose, settings } from '../model/settings.ts'
import { strings } from '../words/strings.ts'
import { Choices, Switch } from './choices.tsx'
import { Panel } from './panel.tsx'

const words = strings.settings

export const SettingsPanel = ({ call, close }: { call: Call; close: () => void }) => (
  <Panel title={words.heading} close={close}>
    <Choices devices={call.devices} />
    <Switch text={words.mirror} isOn={settings.value.mirror} turn={mirror => choose({ mirror })} />
    <Switch text={words.hideSelf} isOn={settings.value.hideSelf} turn={hideSelf => choose({ hideSelf })} />
    <h3>{words.keys}</h3>
    <Switch text={words.useKeys} isOn={settings.value.keys} turn={keys => choose({ keys })} />
    <dl class="keys">
      {words.keyList.map(([key, meaning]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{meaning}</dd>
        </div>
      ))}
    </dl>
  </Panel>
)
