import { optionTests } from './option.ts'
import { table } from './table.ts'

optionTests(table.strategies)
