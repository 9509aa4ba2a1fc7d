import './base.css';
import './recording.css';
