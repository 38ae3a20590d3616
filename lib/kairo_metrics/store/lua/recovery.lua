-- The account of a state that went back in time, as recovery.py has it. apply.lua is run behind this file; its header says
-- what is in the account, and what a writer tells of the state that it knows.

local recovery = {}

local ACCOUNT = '^(%d+) ([%w-]+) (%d+) (%d+) (%-?(%d+))$'
local KNOWN = '^(%S+) (%d+)$'

-- The words of an account; nothing where it is damaged.
local function read(account)
  local since, name, goal, held, missing, digits = string.match(account, ACCOUNT)
  if since and math.max(#since, #goal, #held, #digits) <= 15 then return since, name, goal, held, missing end
end

-- When a state got its name, ms: it is in the name. 0 where it is not.
local function born_ms(name)
  local text = string.match(name or '', '%-(%d+)$')
  return text and #text <= 15 and tonumber(text) or 0
end

-- Whether a state had its name before another one.
local function is_older(name, other) return born_ms(name) > 0 and born_ms(name) < born_ms(other) end

-- Whether an account tells of a state: of the one that went back then, or of any that had its name before that.
local function tells_of(since, name, known)
  return name and (name == known or is_older(known, name) or (born_ms(known) > 0 and born_ms(known) <= tonumber(since)))
end

-- Whether the state is what became of the one that the writer knows, and holds less.
local function lacks_something(state, told)
  local known, known_batches = string.match(told, KNOWN)
  if known == state.incarnation then return tonumber(known_batches) > tonumber(state.batches) end
  local since, name, _, held = read(state.account)
  return known and (is_older(state.incarnation, known) or (tells_of(since, name, known) and held ~= '0'))
end

-- Whether what is written back is still missing: it was reckoned with the account, without the time, as it stands.
function recovery.is_due(state, told, account)
  local stands = read(state.account) and string.match(state.account, '^%d+ (.*)$') or ''
  return lacks_something(state, told) and account == stands
end

-- The account of the recovery after this batch, if that changes it, and whether the state needs another name: it went back
-- under the name that it had, or under one from before. What was begun in another one's place has a name of its own.
function recovery.after(state, told, makes_good, restores)
  local known, known_batches = string.match(told, KNOWN)
  if not known then return nil, false end
  local since, name, goal, held, missing = read(state.account)
  -- Others may have brought it past the old count before anybody noticed; what is sent again proves it still.
  local is_behind = makes_good > 0 or tonumber(known_batches) > tonumber(state.batches)
  local went_back = state.incarnation == '' or (known == state.incarnation and is_behind)
    or is_older(state.incarnation, known)
  local is_told_of = tells_of(since, name, known)
  if went_back or (makes_good > 0 and known ~= state.incarnation and not is_told_of) then
    held = went_back and state.batches or '0'
    missing = known_batches - held - makes_good
    if restores then missing = math.min(missing, 0) - 1 end -- nothing is, and another account it is
    return string.format('%s %s %s %s %.0f', now_text, known, known_batches, held, missing), went_back
  end
  local more = name == known and math.max(0, known_batches - goal) or 0
  if restores and is_told_of then more, makes_good = 0, math.max(missing, 0) + 1 end
  if not is_told_of or (more == 0 and makes_good == 0) then return nil, false end
  return string.format('%s %s %.0f %s %.0f', since, name, goal + more, held, missing + more - makes_good), false
end

-- The name that a state gets now. With the time in it, it never comes back; and it is younger than those before also where
-- the clock is behind.
function recovery.name(first_half, state, told)
  local born = math.max(now, born_ms(state.incarnation) + 1, born_ms(string.match(told, '^%S+')) + 1)
  return first_half .. '-' .. string.format('%013.0f', born)
end
