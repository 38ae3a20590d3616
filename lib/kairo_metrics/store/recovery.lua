-- The account of a state that went back in time, as recovery.py has it. apply.lua is run behind this file; its header says
-- what is in the account, and what a writer tells of the state that it knows.

local recovery = {}

local ACCOUNT = '^(%d+) (%S+) (%d+) (%d+) (%-?%d+)$'
local KNOWN = '^(%S+) (%d+)$'

-- Whether a state had its name before another one; the time is in it.
local function is_older(name, other)
  local one, two = string.match(name or '', '%-(%d+)$'), string.match(other or '', '%-(%d+)$')
  return one and two and tonumber(one) < tonumber(two)
end

-- Whether the state is what became of the one that the writer knows, and holds less.
function recovery.is_due(state, told)
  local known, known_batches = string.match(told, KNOWN)
  if known == state.incarnation then return tonumber(known_batches) > tonumber(state.batches) end
  local _, name, _, held = string.match(state.account, ACCOUNT)
  return known and (is_older(state.incarnation, known) or ((name == known or is_older(known, name)) and held ~= '0'))
end

-- The account of the recovery after this batch, if that changes it, and whether the state needs another name: it went back
-- under the name that it had, or under one from before. What was begun in another one's place has a name of its own.
function recovery.after(state, told, makes_good)
  local known, known_batches = string.match(told, KNOWN)
  if not known then return nil, false end
  local since, name, goal, held, missing = string.match(state.account, ACCOUNT)
  -- Others may have brought it past the old count before anybody noticed; what is sent again proves it still.
  local is_behind = makes_good > 0 or tonumber(known_batches) > tonumber(state.batches)
  local went_back = state.incarnation == '' or (known == state.incarnation and is_behind)
    or is_older(state.incarnation, known)
  local is_told_of = name == known or is_older(known, name)
  if went_back or (makes_good > 0 and known ~= state.incarnation and not is_told_of) then
    held = went_back and state.batches or '0'
    missing = known_batches - held - makes_good
    return string.format('%s %s %s %s %.0f', now_text, known, known_batches, held, missing), went_back
  end
  local more = name == known and math.max(0, known_batches - goal) or 0
  if not is_told_of or (more == 0 and makes_good == 0) then return nil, false end
  return string.format('%s %s %.0f %s %.0f', since, name, goal + more, held, missing + more - makes_good), false
end
