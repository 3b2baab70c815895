import { dismiss, notices } from '../model/notices.ts'
import { strings } from '../words/strings.ts'
import { Icon } from './icon.tsx'

/** What has just happened. It is there from the beginning, so that a screen reader listens to it. */
export const Notices = () => (
  <div class="notices" role="status">
    {notices.value.map(({ id, text }) => (
      <div class="notice" key={id}>
        <p>{text}</p>
        <button type="button" class="plain dismiss" aria-label={strings.devices.dismiss} onClick={() => dismiss(id)}>
          <Icon of="close" />
        </button>
      </div>
    ))}
  </div>
)
